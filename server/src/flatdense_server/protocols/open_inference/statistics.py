"""What a version has done, in the messages of Triton's statistics."""

from typing import Final

from flatdense_proto.twin import inference_pb2 as pb

from flatdense_server.observe.metrics.statistics import Total, VersionStatistics

NS: Final = 1e9
MS: Final = 1e3


def describe_statistics(
    name: str, version: str, statistics: VersionStatistics
) -> pb.ModelStatistics:
    """One version's.

    Where a request's time goes: queue, from its arrival to the start of its batch; compute_infer,
    its batch in the engine, rows copied in and outputs copied out; compute_output, until its answer
    is written. compute_input is 0: requests are judged before they queue.
    """
    answered, computed, queued = statistics.answered, statistics.computed, statistics.queued
    writing_s = max(0.0, answered.took_s - queued.took_s - computed.took_s)
    return pb.ModelStatistics(
        name=name,
        version=version,
        last_inference=int(statistics.last_inference_s * MS),
        inference_count=statistics.rows,
        execution_count=sum(each.count for each in statistics.batches.values()),
        inference_stats=pb.InferStatistics(
            success=duration(answered),
            fail=duration(statistics.failed),
            queue=duration(queued),
            compute_input=duration(Total(answered.count)),
            compute_infer=duration(computed),
            compute_output=duration(Total(answered.count, writing_s)),
        ),
        batch_stats=[
            pb.InferBatchStatistics(
                batch_size=size,
                compute_input=duration(Total(total.count)),
                compute_infer=duration(total),
                compute_output=duration(Total(total.count)),
            )
            for size, total in sorted(statistics.batches.items())
        ],
    )


def duration(total: Total) -> pb.StatisticDuration:
    """A count and its nanoseconds."""
    return pb.StatisticDuration(count=total.count, ns=int(total.took_s * NS))
