"""An error of a body says where it is wrong, and quotes no value of a learner."""

from __future__ import annotations

import pytest

import toolkit as tk

BODY = (
    b'[{"username": "qzqx_ada", "email": "qzqx@example.com", "course_id": "course-v1:O+C+R",'
    b' "display_name": "a \\"Qzqxname\\" b", "percent_grade": 42.4242, "qzqx_ada": 1}]'
)
ENVELOPE = b'{"results": ' + BODY + b', "next": null}'
LINES = BODY[1:-1] + b"\n" + BODY[1:-1] + b"\n"


def complaint(body: bytes) -> str:
    try:
        tk.read(body, "grades")
    except tk.ToolkitError as error:
        return str(error)
    return ""


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "body",
    [
        BODY,
        pytest.param(ENVELOPE, marks=pytest.mark.slow),
        pytest.param(LINES, marks=pytest.mark.slow),
    ],
    ids=["array", "envelope", "lines"],
)
def test_no_value_is_quoted_wherever_the_body_is_cut_or_changed(body: bytes) -> None:
    broken = [body[:at] for at in range(1, len(body))]
    for wrong in (b'"', b"\\", b"\xff", b""):
        broken += [body[:at] + wrong + body[at + 1 :] for at in range(len(body))]
    told = [complaint(each) for each in broken]
    assert sum(map(bool, told)) > len(body)
    for text in told:
        assert "qzqx" not in text.lower(), text
        assert "4242" not in text, text


def test_the_fields_before_the_fault_are_named() -> None:
    body = b'[{"username": "qzqx_ada", "completion": 1.5, "percent_grade": }]'
    with pytest.raises(tk.errors.WireFormatError) as caught:
        tk.read(body, "grades")
    assert str(caught.value).endswith(
        """after '{"username": …, "completion": …, "percent_grade":' there is '}'"""
    )
    assert (caught.value.line, caught.value.column) == (1, 63)
