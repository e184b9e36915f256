"""A country that no country is, for tests: letters and digits, plates of two lines, kinds and templates of its own."""

from __future__ import annotations

from pathlib import Path

CODE = "invented"
PLATES = {"car": "IOA042", "van": "QRS1234XYZ", "state": "Q77777", "taxi": "IA7K392"}
"""A plate of each kind."""

PLATE_YML = '''\
title: a country for tests
symbols: "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
classes:
  R: "ABCDEFGHIJKLMNOPRSTUVWXYZ"
  S: "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
  D: "0123456789"
  A: "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
serial_letters: 3
strip: "-"

layouts:
  two-lines:
    size_mm: [220, 200]
    boxes:
      - [20, 12, 50, 80]
      - [85, 12, 50, 80]
      - [150, 12, 50, 80]
      - [20, 108, 50, 80]
      - [85, 108, 50, 80]
      - [150, 108, 50, 80]
  three-and-four:
    size_mm: [220, 200]
    boxes:
      - [35, 12, 40, 80]
      - [90, 12, 40, 80]
      - [145, 12, 40, 80]
      - [10, 108, 40, 80]
      - [63, 108, 40, 80]
      - [117, 108, 40, 80]
      - [170, 108, 40, 80]
  long:
    size_mm: [520, 110]
    screws_mm: [30, 12]
    boxes:
      - [15, 18, 40, 74]
      - [65, 18, 40, 74]
      - [115, 18, 40, 74]
      - [165, 18, 40, 74]
      - [215, 18, 40, 74]
      - [265, 18, 40, 74]
      - [315, 18, 40, 74]
      - [365, 18, 40, 74]
      - [415, 18, 40, 74]
      - [465, 18, 40, 74]

kinds:
  - name: car
    share: 0.5
    layout: two-lines
    forms:
      - {template: RRADDD, draw: {R: IOAB}}
    ground: ["#D0F0D0", "#C0E0C0"]
    ink: "#201060"
    ornaments: [frame]
  - name: van
    share: 0.3
    layout: long
    forms:
      - {template: ASSDDDDAAA, letters: [0, 0, 1]}
    ground: ["#FFFFFF", "#F0F0F0"]
    ink: "#101010"
    ornaments: [dot 260 10, frame]
  - name: state
    share: 0.2
    layout: two-lines
    forms:
      - {template: QDDDDD}
    ground: ["#204080", "#204080"]
    ink: "#F0F0F0"
    red: "Q"
    red_ink: "#E01010"
  - name: taxi
    share: 0.2
    layout: three-and-four
    forms:
      - {template: AASSSSS}
    ground: ["#F0D020", "#E0C010"]
    ink: "#101010"

fonts: [truetype/dejavu/DejaVuSans-Bold.ttf]
font_package: fonts-dejavu-core
'''


def write_invented(folder: Path) -> Path:
    """Writes the country into a new folder `CODE` of `folder`, and returns it."""
    country = folder / CODE
    country.mkdir()
    (country / "plate.yml").write_text(PLATE_YML, encoding="utf-8")
    return country
