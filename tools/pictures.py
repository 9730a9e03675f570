"""The pictures of the home page and of README, made by the network that comes along: `python tools/pictures.py` writes them to nbs/images.

Run it again when that network changes. They hold no figures: faces and evidence, and a face whose action units move.
"""
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fer_teach.drawn import drawn_faces, paint_faces, sample_attributes
from fer_teach.runs import load_emotions

out = Path(__file__).parent.parent/'nbs/images'
FONT = Path(matplotlib.get_data_path())/'fonts/ttf/DejaVuSans.ttf'
INK, PALE, BAR = '#212934', '#d8dee6', '#b8500c'


def evidence_over(face, heat):
    "RGB of a large face under the evidence found in its small copy"
    heat = np.asarray(Image.fromarray(np.float32(heat)).resize(face.shape[::-1], Image.BICUBIC)).clip(0, 1)
    cover = .6*heat[..., None]
    mixed = (1 - cover)*face[..., None]/255 + cover*plt.get_cmap('inferno')(heat)[..., :3]
    return Image.fromarray(np.uint8(255*mixed))


def hero(learn, size=176, gap=10, seed=7):
    "A face of each expression, and below it where covering it costs the network most of its score for that expression"
    faces = drawn_faces(140, seed, 'easy', size=learn.arch.size)
    emotions = faces.attributes.emotion.to_numpy()
    rows = [np.flatnonzero(emotions == o)[0] for o in faces.vocab]
    large, _ = paint_faces(faces.attributes.drop(columns='emotion').iloc[rows].assign(noise=0), size, seed)
    maps = learn.explain(faces[rows], target=list(faces.vocab)).maps
    sheet = Image.new('RGBA', (len(rows)*(size + gap) - gap, 2*size + gap))
    for i, (face, heat) in enumerate(zip(large, maps)):
        for j, picture in enumerate((Image.fromarray(face).convert('RGB'), evidence_over(face, heat))):
            sheet.paste(picture, (i*(size + gap), j*(size + gap)), _rounded(size))
    return sheet


def _rounded(size):
    mask = Image.new('L', (4*size, 4*size))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 4*size - 1, 4*size - 1), 32, fill=255)
    return mask.resize((size, size))


SMILE, SURPRISE = {'AU6': .8, 'AU12': 1}, {'AU1': 1, 'AU2': 1, 'AU5': 1, 'AU26': 1}


def steps():
    "Action units of each frame: a smile comes and goes, then surprise comes"
    def part(units, *shares): return [{name: o*share for name, o in units.items()} for share in shares]
    return [*part(SMILE, 0, 0, .2, .4, .6, .8, 1, 1, 1, 1, .7, .4, .1, 0), *part(SURPRISE, 0, .2, .4, .6, .8, 1, 1, 1, 1, 1)]


def frame(face, units, probabilities, vocab, wide=660, high=260):
    "One frame: face, sliders, and what the network says"
    sheet = Image.new('RGB', (wide, high), 'white')
    pen, font, small = ImageDraw.Draw(sheet), ImageFont.truetype(FONT, 14), ImageFont.truetype(FONT, 12)
    sheet.paste(Image.fromarray(face).resize((228, 228)), (16, 16))
    for i, name in enumerate(('AU1', 'AU2', 'AU5', 'AU6', 'AU12', 'AU26')):
        y, value = 34 + 38*i, units.get(name, 0)
        pen.text((262, y), name.replace('AU', 'AU '), INK, small, anchor='lm')
        pen.line((318, y, 418, y), PALE, 4)
        pen.line((318, y, 318 + 100*value, y), INK, 4)
        pen.ellipse((311 + 100*value, y - 7, 325 + 100*value, y + 7), INK)
    best = int(np.argmax(probabilities))
    for i, (name, p) in enumerate(zip(vocab, probabilities)):
        y = 30 + 33*i
        pen.text((510, y), name, INK, font, anchor='rm')
        pen.rectangle((518, y - 9, 518 + 124*p, y + 9), BAR if i == best else '#9aa4b1')
    return sheet


def moving(learn, seed=8):
    "The frames of a face whose action units move, with the network's answer to each"
    person = sample_attributes(['neutral'], np.random.default_rng(seed), 'easy').assign(noise=0)
    frames = []
    for units in steps():
        attributes = person.assign(**units)
        small, large = (paint_faces(attributes, o, seed)[0][0] for o in (learn.arch.size, 228))
        p = learn.probabilities(learn.this_run.look_at(small[None], False))[0]
        frames.append(frame(large, units, np.asarray(p), learn.vocab))
    return frames


if __name__ == '__main__':
    out.mkdir(exist_ok=True)
    learn = load_emotions('wink')
    hero(learn).save(out/'evidence.webp', quality=86, method=6)
    frames = moving(learn)
    frames[0].save(out/'sliders.webp', save_all=True, append_images=frames[1:], duration=170, loop=1, quality=80, method=6)
    frames[7].save(out/'smile.webp', quality=86, method=6)
