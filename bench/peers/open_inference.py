"""Messages of the Open Inference Protocol. Run in an environment that has tritonclient[grpc].

`encode MODEL DATATYPE`: pixels come in, a ModelInferRequest goes out.
`decode`: a ModelInferResponse comes in, the bytes of its first output go out.
"""

import sys

from tritonclient.grpc import service_pb2 as pb

PIXEL_BYTES = {"UINT8": 1, "FP32": 4}


def encode(pixels: bytes, model: str, datatype: str) -> bytes:
    """Rows of 784 pixels, raw, as the input `images`."""
    rows = len(pixels) // (784 * PIXEL_BYTES[datatype])
    request = pb.ModelInferRequest(model_name=model, raw_input_contents=[pixels])
    request.inputs.add(name="images", datatype=datatype, shape=[rows, 784])
    return bytes(request.SerializeToString())


def decode(answer: bytes) -> bytes:
    """Only answers with raw outputs are expected here."""
    return bytes(pb.ModelInferResponse.FromString(answer).raw_output_contents[0])


if __name__ == "__main__":
    given = sys.stdin.buffer.read()
    verb = {"encode": encode, "decode": decode}[sys.argv[1]]
    sys.stdout.buffer.write(verb(given, *sys.argv[2:]))
