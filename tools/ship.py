"Make a run folder the network that comes with fer_teach: python tools/ship.py RUN NAME; weights, description, figures and model card"
import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CARD = """# Model card: {arch}

| | |
|---|---|
| network | `{arch}`, {parameters:,} parameters, trained from random weights with fer_teach {version} |
| input | the crop of one face, grey, {size}x{size} pixels |
| output | probabilities of {classes} |
| trained on | FER2013's Training split (28,709 pictures from web searches, labelled by people), recipe `{recipe}`, seed {seed} |
| chosen on | FER2013's PublicTest: {valid_accuracy:.1%} |
| tested on | FER2013's PrivateTest, which no choice was made on: {accuracy:.1%} (95 % interval {low:.1%} to {high:.1%}; {clean_accuracy:.1%} without the pictures that are in Training too) |
| beside it | always guessing the most frequent class: {majority:.1%}; people: about 65 % |
| macro-F1, log-loss, calibration error | {macro_f1:.3f}, {log_loss:.3f}, {ece:.3f} |

## What it is for
Teaching, and trying out. It names the expression that people would most likely give to a picture of a face.

## What it cannot do
It does not know what anyone feels. {wrong:.0%} of its answers on pictures like those it was tested on differ from the label, and those labels
are themselves disputed; on other cameras, ages, skin tones, occlusions and cultures it was not tested and is likely to be worse. A quarter
of the pictures it learned from are labelled happy, and 1.5 % disgust. {worst} are recognised worst. The EU forbids inferring emotions at work and
in education (AI Act, Art. 5(1)(f)); do not decide anything about a person with it.

## Licence
The weights are released like the package. FER2013's pictures belong to others and are not part of it.
"""


def main(run, name):
    target = ROOT/'fer_teach/shipped'/name
    about, result = (json.loads((run/f'{o}.json').read_text()) for o in ('model', 'result'))
    target.mkdir(parents=True, exist_ok=True)
    for file in ('model.safetensors', 'model.json', 'result.json'): shutil.copyfile(run/file, target/file)
    from fer_teach.runs import load_emotions
    learn = load_emotions(target)
    worst = [f'{name} ({recall:.0%} found)' for name, recall in sorted(result['recall'].items(), key=lambda o: o[1])[:2]]
    facts = about | result | dict(classes=', '.join(learn.vocab), parameters=sum(o.numel() for o in learn.model.parameters()),
                                  low=result['interval'][0], high=result['interval'][1], recipe=about['recipe_name'],
                                  wrong=1 - result['accuracy'], worst=' and '.join(worst).capitalize())
    (target/'README.md').write_text(CARD.format(**facts))
    size = (target/'model.safetensors').stat().st_size
    assert size < 4_000_000, f'{size:,} bytes are more than the wheel should carry'
    print(f'{target}: {size:,} bytes')


if __name__ == '__main__': main(Path(sys.argv[1]), sys.argv[2])
