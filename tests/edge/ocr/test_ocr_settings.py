"""Settings from cards and from `--set`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.base.errors import UsageError
from edge.model.card import Card, Charset, Input
from edge.ocr.config import PipelineConfig
from edge.ocr.settings import fit_cards, fit_inputs, override


def test_cards_set_normalisation_and_sizes() -> None:
    det = Input("x", 0, 0, 32, 1 / 255, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    rec = Input("x", 32, 0, 8, 1.0, (127.5, 127.5, 127.5), (127.5, 127.5, 255.0))
    config = fit_inputs(PipelineConfig(rec_width=160), det, rec)
    assert config.det_mean == (0.1, 0.2, 0.3) and config.det_std == (0.4, 0.5, 0.6)
    assert config.rec_mean == (0.5, 0.5, 0.5) and config.rec_std == (0.5, 0.5, 1.0)
    assert (config.rec_height, config.rec_width) == (32, 160)
    assert fit_inputs(PipelineConfig()) == PipelineConfig()


def test_cards_bring_the_settings_that_they_were_measured_with() -> None:
    plain = Input("x", 0, 0, 32, 1 / 255, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    det = Card("d", "det", "", "inference", "fp32", plain, pipeline={"det_limit_type": "max", "det_limit_side": "480"})
    charset = Charset("dict.txt", "0", 3)
    rec = Card("r", "rec", "", "inference", "fp32", plain, charset, pipeline={"rec_resize": "stretch"})
    config = fit_cards(PipelineConfig(), det, rec)
    assert (config.det_limit_type, config.det_limit_side, config.rec_resize) == ("max", 480, "stretch")
    assert fit_cards(PipelineConfig()) == PipelineConfig()
    with pytest.raises(UsageError, match="det_side"):
        fit_cards(PipelineConfig(), replace(det, pipeline={"det_side": "1"}))


def test_texts_override_keys() -> None:
    given = {"det_limit_side": "640", "det_dilation": "false", "text_lengths": "", "box_grow": "0.04"}
    given["text_strip"] = '·"\\ '
    config = override(PipelineConfig(), given)
    assert (config.det_limit_side, config.det_dilation, config.box_grow) == (640, False, 0.04)
    assert config.text_strip == '·"\\ ' and config.text_lengths == ()
    assert override(PipelineConfig(), {"text_strip": ""}).text_strip == ""
    assert override(PipelineConfig(), {"text_strip": '"· "'}).text_strip == "· "


@pytest.mark.parametrize(
    ("key", "value"),
    [("det_limit", "1"), ("det_model", "x.nb"), ("threads", "many"), ("decode", "best"), ("threads", "0")],
)
def test_bad_settings_are_named(key: str, value: str) -> None:
    with pytest.raises(UsageError, match=key):
        override(PipelineConfig(), {key: value})
