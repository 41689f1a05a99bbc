"""Protocol buffers as JSON."""

from flatdense_proto.twin import inference_pb2 as pb
from flatdense_proto.twin import tensorflow_pb2 as tf
from flatdense_server.http.messages import describe
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st

SIZES = st.integers(-(1 << 63), (1 << 63) - 1)
NAMES = st.text(st.characters(codec="utf-8"), max_size=5)

SIGNATURES = st.builds(
    lambda inputs: tf.SignatureDef(inputs=inputs, method_name="predict"),
    st.dictionaries(
        NAMES,
        st.builds(
            lambda name, dtype, sizes, ranked: tf.TensorInfo(
                name=name,
                dtype=dtype,
                tensor_shape=ranked and tf.TensorShapeProto(dim=[{"size": size} for size in sizes]),
            ),
            NAMES,
            st.sampled_from(tf.DataType.values()),
            st.lists(SIZES, max_size=3),
            st.sampled_from([True, None]),
        ),
        max_size=3,
    ),
)


@given(message=SIGNATURES)
def test_with_wide_integers_as_text_it_is_that_of_protocol_buffers(
    message: tf.SignatureDef,
) -> None:
    """What protobuf's own library writes, when it is asked for names as they are and all fields."""
    expected = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    assert describe(message, wide=str) == expected


def test_an_enumeration_of_tomorrow_is_a_number() -> None:
    """Its name is not known."""
    assert describe(pb.ModelInput(data_type=99))["data_type"] == 99
