"""Drawing in a real browser: what is drawn, what the network sees, what it says."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from page.handwriting import STYLES, Handwritten, curve, write_digits
from page.sheet import NOTHING, OpenPage, Sheet
from PIL import Image

pytestmark = pytest.mark.xdist_group("page")

THREE = next(digit for digit in write_digits() if digit.label == 3)
SEVEN = next(digit for digit in write_digits() if digit.label == 7)

LINE = ((0.52, 0.15), (0.51, 0.35), (0.5, 0.6), (0.49, 0.85))
"""A one."""


def seen(sheet: Sheet) -> npt.NDArray[np.bool_]:
    """Where the 28x28 that is shown has ink."""
    colours = sheet.colours("#seen")
    return np.abs(colours - colours[0, 0]).max(axis=2) > 128


def test_drawn_digits_are_read(open_page: OpenPage) -> None:
    """At least 95 % of sixty digits, of several strokes, sizes, places, slants and pens."""
    sheet = open_page()
    digits = list(write_digits())
    said = [sheet.write(digit) for digit in digits]
    wrong = [
        (digit.label, each)
        for digit, each in zip(digits, said, strict=True)
        if str(digit.label) != each
    ]
    assert len(digits) >= 50
    assert len(wrong) <= 0.05 * len(digits), wrong


def test_the_bars_are_what_the_server_answered(open_page: OpenPage) -> None:
    """Ten shares as REST gave them, the best one marked, and how long the server took."""
    sheet = open_page()
    assert sheet.write(THREE) == "3"
    told = sheet.last("answered")
    shares = sheet.page.locator("#bars .share").all_inner_texts()
    assert shares == [f"{100 * share:.1f} %" for share in told["probabilities"]]
    assert sheet.text("#bars .best b") == "3"
    assert f"The server took {told['timing']['total']:.2f} ms" in sheet.text("#timing")
    assert sheet.text("#timing").startswith("Version 1.")


def test_the_answer_follows_the_pen(open_page: OpenPage) -> None:
    """There are answers before the pen is lifted, and the last is about the whole drawing."""
    sheet = open_page()
    box = sheet.page.locator("#pad").bounding_box()
    assert box
    (x, y), *points = ((box["x"] + 280 * a, box["y"] + 280 * b) for a, b in LINE)
    sheet.page.mouse.move(x, y)
    sheet.page.mouse.down()
    for number, point in enumerate(points, start=1):
        sheet.page.mouse.move(*point)
        sheet.wait_for_answers(number)
    sheet.page.mouse.up()
    sheet.settle()
    told = sheet.page.evaluate("window.told.answered.map(({ pointMs }) => pointMs)")
    assert told == sorted(told)
    assert sheet.text("#best") == "1"


def test_undo_and_clear(open_page: OpenPage) -> None:
    """Undo takes a stroke back, and what was cleared; with nothing left to undo it is off."""
    sheet = open_page()
    assert not sheet.page.locator("#undo").is_enabled()
    sheet.draw(*SEVEN.strokes)
    sheet.settle()
    whole = seen(sheet)
    sheet.draw(((0.2, 0.9), (0.8, 0.9)))
    assert (seen(sheet) != whole).any()
    sheet.page.locator("#undo").click()
    assert (seen(sheet) == whole).all()
    sheet.page.locator("#clear").click()
    assert not seen(sheet).any()
    assert sheet.text("#best") == NOTHING
    assert sheet.text("#sure") == "Nothing drawn yet."
    sheet.page.keyboard.press("Control+z")
    assert (seen(sheet) == whole).all()
    for _ in SEVEN.strokes:
        sheet.page.locator("#undo").click()
    assert not sheet.page.locator("#undo").is_enabled()


def test_the_pen_is_as_wide_as_it_is_set(open_page: OpenPage) -> None:
    """A wider pen leaves more ink."""
    sheet = open_page()
    inks = []
    for width in (10, 40):
        sheet.clear()
        sheet.set_pen(width)
        sheet.draw(((0.3, 0.3), (0.7, 0.7)))
        inks.append(np.count_nonzero(sheet.colours("#pad")[..., 3] > 128))
    assert inks[1] > 3 * inks[0]


def test_a_finger_draws(open_page: OpenPage) -> None:
    """On a phone: touches are strokes, and do not scroll the page."""
    sheet = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    box = sheet.page.locator("#pad").bounding_box()
    assert box
    session = sheet.page.context.new_cdp_session(sheet.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        """One event, in fractions of the pad."""
        places = [
            {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in points
        ]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    stroke = curve(((0.52, 0.15), (0.5, 0.5), (0.48, 0.85)))
    touch("touchStart", stroke[0])
    for point in stroke[1:]:
        touch("touchMove", point)
    touch("touchEnd")
    sheet.settle()
    assert sheet.text("#best") == "1"
    assert sheet.page.evaluate("scrollY") == 0


def test_keys_draw(open_page: OpenPage) -> None:
    """With the pad focused, arrows move the pen and the space bar puts it down."""
    sheet = open_page()
    sheet.page.locator("#pad").focus()
    sheet.page.keyboard.press(" ")
    for _ in range(11):
        sheet.page.keyboard.press("ArrowDown")
    sheet.page.keyboard.press(" ")
    sheet.settle()
    assert sheet.text("#best") == "1"
    sheet.page.keyboard.press("Backspace")
    assert sheet.text("#best") == NOTHING


def test_samples_can_be_picked(open_page: OpenPage) -> None:
    """At most twenty, by the keyboard too; the network reads most of them."""
    sheet = open_page()
    samples = sheet.page.locator("#samples button")
    labels = [(button.get_attribute("aria-label") or "")[-1] for button in samples.all()]
    assert 10 <= len(labels) <= 20
    assert set(labels) == set("0123456789")
    said = []
    for index in range(len(labels)):
        samples.nth(index).press("Enter")
        sheet.settle()
        said.append(sheet.text("#best"))
    right = sum(map(str.__eq__, said, labels))
    assert right >= 0.8 * len(labels), said


@pytest.mark.parametrize("how", ["chosen", "dropped", "pasted"])
def test_pictures_are_read(open_page: OpenPage, repository, how: str) -> None:  # noqa: ANN001
    """A photo of a digit, chosen, dropped or pasted."""
    photo = (repository / "examples" / "photo_of_a_three.png").read_bytes()
    sheet = open_page()
    if how == "chosen":
        give(sheet, "photo.png", photo)
    else:
        sheet.page.evaluate(
            """([how, bytes]) => {
              const data = new DataTransfer();
              data.items.add(new File([new Uint8Array(bytes)], "photo.png", { type: "image/png" }));
              const event = how === "dropped"
                ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
                : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
              document.body.dispatchEvent(event);
            }""",
            [how, [*photo]],
        )
    sheet.wait_for_text("#best", "3")


def give(sheet: Sheet, name: str, content: bytes) -> None:
    """Chooses a file."""
    file = {"name": name, "mimeType": "image/png", "buffer": content}
    sheet.page.locator("#file").set_input_files(file)


def test_a_drawing_of_nothing_but_ink_is_told(open_page: OpenPage) -> None:
    """A black picture, and a pad that is all ink: a sentence, and the next drawing is read."""
    black = io.BytesIO()
    Image.new("L", (200, 200)).save(black, "PNG")
    sheet = open_page()
    give(sheet, "black.png", black.getvalue())
    sheet.wait_for_text("#sure", "There is no digit to see: all of it looks the same.")
    sheet.clear()
    sheet.set_pen(44)
    sheet.draw(*(((0.03, y), (0.97, y)) for y in np.linspace(0.03, 0.97, 9)), steps=1)
    sheet.wait_for_text("#sure", "There is no digit to see")
    assert sheet.write(THREE) == "3"


def test_a_photo_of_twenty_megapixels_is_read(open_page: OpenPage, repository) -> None:  # noqa: ANN001
    """It is brought to its 28x28 as any other."""
    photo = Image.open(repository / "examples" / "photo_of_a_three.png").resize((4480, 4480))
    file = io.BytesIO()
    photo.convert("RGB").save(file, "JPEG")
    sheet = open_page()
    give(sheet, "photo.jpg", file.getvalue())
    sheet.wait_for_text("#best", "3")


def test_what_is_no_picture_is_told(open_page: OpenPage) -> None:
    """A PDF that is named .png: a sentence with its name, and what was drawn stays."""
    sheet = open_page()
    assert sheet.write(THREE) == "3"
    give(sheet, "letter.png", b"%PDF-1.7\n1 0 obj\n<< >>\nendobj\n")
    sheet.wait_for_text("#status", "letter.png is not a picture that can be read.")
    assert sheet.text("#best") == "3"


def test_every_style_is_in_the_drawn_set() -> None:
    """Each digit has more than one way to be written, and all of them are drawn."""
    drawn = {(digit.label, len(digit.strokes)) for digit in write_digits()}
    wanted = {(label, len(style)) for label, styles in STYLES.items() for style in styles}
    assert drawn == wanted
    assert all(isinstance(digit, Handwritten) for digit in write_digits())
