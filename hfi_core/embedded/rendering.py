"""Draw scenes as 64 x 64 RGB pictures. For anti-aliasing, they are drawn at four times the size and reduced."""

import math

import numpy as np
from PIL import Image, ImageDraw

from hfi_core.embedded.scenes import Colour, Scene, World

SIZE = 64
_OVERSAMPLING = 4
_WHITE = (252, 250, 244)
_BLACK = (26, 26, 30)


def _shade(colour: Colour, factor: float) -> Colour:
    return tuple(min(255, round(c * factor)) for c in colour)  # type: ignore[return-value]


class _Pen:
    """Draws around the centre of a scene, in units of the scene's radius. The y axis points down."""

    def __init__(self, image: Image.Image, centre: tuple[float, float], radius: float):
        self._draw = ImageDraw.Draw(image)
        self._cx, self._cy, self._r = centre[0], centre[1], radius

    def _to_pixels(self, x: float, y: float) -> tuple[float, float]:
        return self._cx + x * self._r, self._cy + y * self._r

    def polygon(self, points, fill: Colour):
        self._draw.polygon([self._to_pixels(x, y) for x, y in points], fill=fill)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Colour):
        (x0, y0), (x1, y1) = self._to_pixels(x - rx, y - ry), self._to_pixels(x + rx, y + ry)
        self._draw.ellipse((x0, y0, x1, y1), fill=fill)

    def ring(self, x: float, y: float, r: float, width: float, colour: Colour):
        (x0, y0), (x1, y1) = self._to_pixels(x - r, y - r), self._to_pixels(x + r, y + r)
        self._draw.ellipse((x0, y0, x1, y1), outline=colour, width=round(width * self._r))

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Colour):
        self._draw.rectangle((*self._to_pixels(x0, y0), *self._to_pixels(x1, y1)), fill=fill)

    def pie(self, x: float, y: float, r: float, start: float, end: float, fill: Colour):
        (x0, y0), (x1, y1) = self._to_pixels(x - r, y - r), self._to_pixels(x + r, y + r)
        self._draw.pieslice((x0, y0, x1, y1), start, end, fill=fill)

    def line(self, points, width: float, fill: Colour):
        self._draw.line([self._to_pixels(x, y) for x, y in points], fill=fill, width=round(width * self._r))


def _ball(pen: _Pen, c: Colour):
    pen.ellipse(0, 0, 0.86, 0.86, c)
    pen.ellipse(-0.3, -0.32, 0.22, 0.18, _shade(c, 1.5))


def _house(pen: _Pen, c: Colour):
    pen.box(-0.7, -0.1, 0.7, 0.85, c)
    pen.polygon([(-0.95, -0.1), (0, -0.9), (0.95, -0.1)], _shade(c, 0.55))
    pen.box(-0.18, 0.3, 0.18, 0.85, _shade(c, 0.4))


def _tree(pen: _Pen, c: Colour):
    pen.box(-0.13, 0.3, 0.13, 0.95, (112, 74, 46))
    pen.ellipse(0, -0.25, 0.68, 0.68, c)


def _boat(pen: _Pen, c: Colour):
    pen.polygon([(-0.95, 0.3), (0.95, 0.3), (0.6, 0.8), (-0.6, 0.8)], c)
    pen.polygon([(-0.1, -0.9), (0.6, 0.15), (-0.1, 0.15)], _shade(c, 0.6))


def _fish(pen: _Pen, c: Colour):
    pen.polygon([(0.35, 0), (0.95, -0.5), (0.95, 0.5)], _shade(c, 0.6))
    pen.ellipse(-0.15, 0, 0.75, 0.46, c)
    pen.ellipse(-0.55, -0.1, 0.09, 0.09, _BLACK)


def _cup(pen: _Pen, c: Colour):
    pen.ring(0.55, 0.0, 0.38, 0.15, _shade(c, 0.7))
    pen.box(-0.65, -0.6, 0.5, 0.7, c)


def _flower(pen: _Pen, c: Colour):
    pen.box(-0.07, 0.2, 0.07, 1.0, (52, 128, 56))
    for k in range(6):
        a = math.pi * k / 3
        pen.ellipse(0.42 * math.cos(a), -0.2 + 0.42 * math.sin(a), 0.29, 0.29, c)
    pen.ellipse(0, -0.2, 0.24, 0.24, (250, 222, 96))


def _kite(pen: _Pen, c: Colour):
    pen.line([(0, 0.5), (0.2, 0.75), (0.05, 0.85), (0.35, 1.0)], 0.07, _shade(c, 0.6))
    pen.polygon([(0, -0.95), (0.55, -0.2), (0, 0.6), (-0.55, -0.2)], c)
    pen.line([(0, -0.95), (0, 0.6)], 0.06, _shade(c, 0.5))


def _car(pen: _Pen, c: Colour):
    pen.polygon([(-0.5, -0.1), (-0.3, -0.55), (0.3, -0.55), (0.55, -0.1)], _shade(c, 0.6))
    pen.box(-0.95, -0.12, 0.95, 0.42, c)
    for x in (-0.5, 0.5):
        pen.ellipse(x, 0.45, 0.24, 0.24, _BLACK)


def _hat(pen: _Pen, c: Colour):
    pen.ellipse(0, 0.5, 0.98, 0.24, c)
    pen.box(-0.5, -0.7, 0.5, 0.5, c)
    pen.box(-0.5, 0.12, 0.5, 0.36, _shade(c, 0.5))


def _lamp(pen: _Pen, c: Colour):
    pen.box(-0.08, -0.1, 0.08, 0.8, (70, 70, 76))
    pen.ellipse(0, 0.85, 0.5, 0.13, (70, 70, 76))
    pen.polygon([(-0.38, -0.85), (0.38, -0.85), (0.8, 0.05), (-0.8, 0.05)], c)


def _mushroom(pen: _Pen, c: Colour):
    pen.box(-0.22, 0.0, 0.22, 0.85, (236, 222, 196))
    pen.pie(0, 0.1, 0.92, 180, 360, c)


def _bottle(pen: _Pen, c: Colour):
    pen.box(-0.16, -0.95, 0.16, -0.3, _shade(c, 0.6))
    pen.ellipse(0, -0.15, 0.46, 0.32, c)
    pen.box(-0.46, -0.15, 0.46, 0.92, c)


def _chair(pen: _Pen, c: Colour):
    pen.box(-0.7, -0.95, -0.42, 0.9, c)
    pen.box(-0.7, 0.0, 0.7, 0.3, c)
    pen.box(0.42, 0.0, 0.7, 0.9, c)


def _apple(pen: _Pen, c: Colour):
    for side in (-1, 1):
        pen.ellipse(side * 0.3, 0.12, 0.5, 0.62, c)
    pen.line([(0, -0.4), (0.14, -0.85)], 0.12, (112, 74, 46))
    pen.ellipse(0.38, -0.68, 0.22, 0.12, (52, 128, 56))


def _rocket(pen: _Pen, c: Colour):
    pen.polygon([(-0.36, 0.3), (-0.72, 0.8), (0.72, 0.8), (0.36, 0.3)], _shade(c, 0.55))
    pen.polygon([(-0.36, 0.7), (-0.36, -0.4), (0, -0.98), (0.36, -0.4), (0.36, 0.7)], c)
    pen.ellipse(0, -0.2, 0.17, 0.17, _WHITE)


_OBJECTS = {
    "ball": _ball, "house": _house, "tree": _tree, "boat": _boat,
    "fish": _fish, "cup": _cup, "flower": _flower, "kite": _kite,
    "car": _car, "hat": _hat, "lamp": _lamp, "mushroom": _mushroom,
    "bottle": _bottle, "chair": _chair, "apple": _apple, "rocket": _rocket,
}  # fmt: skip


def _star(pen: _Pen, c: Colour):
    points = []
    for k in range(10):
        r, a = (0.74 if k % 2 == 0 else 0.31), math.pi * k / 5 - math.pi / 2
        points.append((r * math.cos(a), r * math.sin(a)))
    pen.polygon(points, _WHITE)


def _leaf(pen: _Pen, c: Colour):
    half = [(0.44 * math.sin(math.pi * k / 12) ** 0.9, -0.74 + 1.36 * k / 12) for k in range(13)]
    pen.polygon(half + [(-x, y) for x, y in reversed(half)], _WHITE)
    pen.line([(0, -0.5), (0, 0.78)], 0.1, _shade(c, 0.75))


def _skull(pen: _Pen, c: Colour):
    pen.ellipse(0, -0.14, 0.6, 0.52, _WHITE)
    pen.box(-0.32, 0.2, 0.32, 0.66, _WHITE)
    for side in (-1, 1):
        pen.ellipse(side * 0.25, -0.12, 0.18, 0.19, _BLACK)
    pen.polygon([(0, 0.1), (0.08, 0.24), (-0.08, 0.24)], _BLACK)
    for x in (-0.12, 0.12):
        pen.line([(x, 0.4), (x, 0.66)], 0.08, _BLACK)


def _bones(pen: _Pen, c: Colour):
    for side in (-1, 1):
        pen.line([(-0.44 * side, -0.44), (0.44 * side, 0.44)], 0.22, _WHITE)
        for end in (-1, 1):
            x, y = end * 0.48 * side, end * 0.48
            pen.ellipse(x + 0.12 * side * end, y - 0.06 * end, 0.16, 0.16, _WHITE)
            pen.ellipse(x - 0.06 * side * end, y + 0.12 * end, 0.16, 0.16, _WHITE)


def _heart(pen: _Pen, c: Colour):
    angles = [2 * math.pi * k / 40 for k in range(40)]
    outline = [
        (16 * math.sin(a) ** 3, -(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a)))
        for a in angles
    ]
    pen.polygon([(x / 23, y / 23) for x, y in outline], _WHITE)


def _moon(pen: _Pen, c: Colour):
    pen.ellipse(-0.06, 0, 0.68, 0.68, _WHITE)
    pen.ellipse(0.28, -0.08, 0.54, 0.54, c)


def _crown(pen: _Pen, c: Colour):
    points = [(-0.6, 0.5), (0.6, 0.5), (0.72, -0.42), (0.32, 0.0), (0, -0.62), (-0.32, 0.0), (-0.72, -0.42)]
    pen.polygon(points, _WHITE)


def _clover(pen: _Pen, c: Colour):
    for x, y in ((0, -0.36), (-0.36, 0.1), (0.36, 0.1)):
        pen.ellipse(x, y, 0.32, 0.32, _WHITE)
    pen.polygon([(0, 0), (0.18, 0.72), (-0.18, 0.72)], _WHITE)


def _dagger(pen: _Pen, c: Colour):
    pen.polygon([(-0.17, -0.2), (0.17, -0.2), (0, 0.8)], _WHITE)
    pen.box(-0.52, -0.36, 0.52, -0.16, _WHITE)
    pen.box(-0.12, -0.78, 0.12, -0.36, _BLACK)


def _sun(pen: _Pen, c: Colour):
    for k in range(4):
        a = math.pi * k / 4
        x, y = 0.76 * math.cos(a), 0.76 * math.sin(a)
        pen.line([(-x, -y), (x, y)], 0.15, _WHITE)
    pen.ellipse(0, 0, 0.5, 0.5, c)
    pen.ellipse(0, 0, 0.4, 0.4, _WHITE)


def _drop(pen: _Pen, c: Colour):
    pen.polygon([(0, -0.76), (0.4, 0.1), (-0.4, 0.1)], _WHITE)
    pen.ellipse(0, 0.24, 0.43, 0.43, _WHITE)


def _arrow(pen: _Pen, c: Colour):
    pen.polygon([(0, -0.74), (0.62, -0.04), (-0.62, -0.04)], _WHITE)
    pen.box(-0.2, -0.1, 0.2, 0.7, _WHITE)


def _bell(pen: _Pen, c: Colour):
    pen.pie(0, -0.16, 0.46, 180, 360, _WHITE)
    pen.polygon([(-0.46, -0.18), (0.46, -0.18), (0.66, 0.42), (-0.66, 0.42)], _WHITE)
    pen.ellipse(0, 0.56, 0.17, 0.17, _WHITE)


def _cross(pen: _Pen, c: Colour):
    pen.box(-0.2, -0.66, 0.2, 0.66, _WHITE)
    pen.box(-0.66, -0.2, 0.66, 0.2, _WHITE)


def _ring(pen: _Pen, c: Colour):
    pen.ring(0, 0, 0.64, 0.24, _WHITE)


def _bomb(pen: _Pen, c: Colour):
    pen.ellipse(-0.08, 0.2, 0.56, 0.56, _WHITE)
    pen.ellipse(-0.08, 0.2, 0.45, 0.45, _BLACK)
    pen.line([(0.24, -0.2), (0.46, -0.46)], 0.2, _WHITE)
    pen.ellipse(0.5, -0.54, 0.19, 0.19, (255, 214, 72))


def _snake(pen: _Pen, c: Colour):
    for k in range(61):
        pen.ellipse(0.42 * math.cos(math.pi * k / 20), -0.58 + 1.16 * k / 60, 0.14, 0.14, _WHITE)
    pen.ellipse(0.4, -0.6, 0.24, 0.18, _WHITE)
    pen.ellipse(0.44, -0.64, 0.07, 0.07, _BLACK)


def _axe(pen: _Pen, c: Colour):
    pen.line([(-0.34, 0.74), (0.2, -0.66)], 0.18, _BLACK)
    pen.polygon([(0.02, -0.56), (0.7, -0.6), (0.6, 0.24), (0.06, -0.06)], _WHITE)


_EMBLEMS = {
    "star": _star, "leaf": _leaf, "heart": _heart, "moon": _moon, "crown": _crown, "clover": _clover,
    "skull": _skull, "bones": _bones, "dagger": _dagger,
    "sun": _sun, "drop": _drop, "arrow": _arrow, "bell": _bell, "cross": _cross, "ring": _ring,
    "bomb": _bomb, "snake": _snake, "axe": _axe,
}  # fmt: skip
_OUTLINES = {
    "shield": [(-0.98, -0.98), (0.98, -0.98), (0.98, 0.35), (0, 1.1), (-0.98, 0.35)],
    "square": [(-0.98, -0.98), (0.98, -0.98), (0.98, 0.98), (-0.98, 0.98)],
    "diamond": [(0, -1.28), (1.28, 0), (0, 1.28), (-1.28, 0)],
}


def _draw_plate(pen: _Pen, shape: str, emblem: str, c: Colour):
    rim = _shade(c, 0.6)
    if shape == "disc":
        pen.ellipse(0, 0, 1.04, 1.04, rim)
        pen.ellipse(0, 0, 0.94, 0.94, c)
    else:
        pen.polygon(_OUTLINES[shape], rim)
        pen.polygon([(0.9 * x, 0.9 * y) for x, y in _OUTLINES[shape]], c)
    _EMBLEMS[emblem](pen, c)


_PERIOD = 16
"""Pixels between two stripes or dots of a style: finer ones do not survive the VAE."""
_INKS = (np.array([120, 24, 96], np.float32), np.array([16, 96, 104], np.float32))
_OPACITY = 0.6
"""Opacity of a style's ink at strength 1."""


def _apply_style(pixels: np.ndarray, number: int, strength: float) -> np.ndarray:
    """Add stripes (style 0) or dots (style 1) to a picture. `strength` is a share of the full opacity."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    if number == 0:
        mask = 0.5 + 0.5 * np.sin((x + y) * (2 * math.pi / _PERIOD))
    else:
        u, v = (x % _PERIOD) - (_PERIOD - 1) / 2, (y % _PERIOD) - (_PERIOD - 1) / 2
        mask = np.clip(5.5 - np.sqrt(u * u + v * v), 0, 1)
    alpha = (_OPACITY * strength * mask)[..., None]
    return pixels * (1 - alpha) + _INKS[number] * alpha


def render_scene(world: World, scene: Scene) -> np.ndarray:
    """Draw a scene as uint8 (64, 64, 3)."""
    side = SIZE * _OVERSAMPLING
    image = Image.new("RGB", (side, side), world.backgrounds[scene.background])
    share = 0.37 if scene.emblem else 0.34
    pen = _Pen(image, (scene.centre[0] * side, scene.centre[1] * side), share * scene.scale * side)
    colour = world.colours[scene.colour]
    if scene.emblem and scene.shape:
        _draw_plate(pen, scene.shape, scene.emblem, colour)
    else:
        _OBJECTS[scene.kind](pen, colour)
    pixels = np.asarray(image.reduce(_OVERSAMPLING), np.float32)
    if scene.style:
        pixels = _apply_style(pixels, world.styles.index(scene.style), scene.strength)
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)
