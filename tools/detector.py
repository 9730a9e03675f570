"The weights of the face detector from those in the wheel of facenet-pytorch: python tools/detector.py WHEEL (pip download --no-deps facenet-pytorch==2.6.0)"
import io
import sys
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

TARGET = Path(__file__).parents[1]/'fer_teach/mtcnn/weights.safetensors'


def main(wheel):
    from fer_teach.detector import new_stages
    tensors = {}
    with zipfile.ZipFile(wheel) as archive:
        for stage, name in zip(new_stages(), 'pro'):
            stored = torch.load(io.BytesIO(archive.read(f'facenet_pytorch/data/{name}net.pt')), weights_only=True)
            names = stage.state_dict()  # in the same order; the third network's landmarks come last and are not used
            for (own, shape), tensor in zip(names.items(), stored.values()):
                assert tensor.shape == shape.shape, (own, tensor.shape)
                tensors[f'{name}.{own}'] = tensor.half().contiguous()
    TARGET.parent.mkdir(exist_ok=True)
    save_file(tensors, TARGET)
    print(f'{TARGET}: {TARGET.stat().st_size:,} bytes')


if __name__ == '__main__': main(sys.argv[1])
