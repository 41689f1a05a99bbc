"""All pictures of a report, in the order of the page."""

from flatdense_training.report.pictures.class_outcomes import class_outcomes
from flatdense_training.report.pictures.confusion_matrix import confusion_matrix_picture
from flatdense_training.report.pictures.hardest_images import hardest_images
from flatdense_training.report.pictures.learning_curves import learning_curves
from flatdense_training.report.pictures.picture import Picture
from flatdense_training.report.pictures.rejection_curve import rejection_curve
from flatdense_training.report.pictures.reliability import reliability
from flatdense_training.report.pictures.robustness_curves import robustness_curves
from flatdense_training.report.report import Report


def gallery(report: Report) -> list[Picture]:
    """The pictures; without the hardest images where the report has none."""
    makers = [
        learning_curves,
        confusion_matrix_picture,
        class_outcomes,
        reliability,
        rejection_curve,
        robustness_curves,
        *([hardest_images] if report.hardest else []),
    ]
    return [make(report) for make in makers]
