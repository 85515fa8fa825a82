"""Cut the photographs that the package carries from those of scikit-image.

    pip install scikit-image==0.26.0        # in any environment: only its folder of data is read
    python scripts/make_embedded_images.py path/to/site-packages/skimage/data

Writes hstn_ref/data/photographs/NAME.png, the central square of each photograph at 256x256 and one face, grey where
the original is grey, and photographs.json with provenance, licence and SHA-256. Only photographs in the public domain
or under CC0 are taken.
"""

import hashlib
import json
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

from hstn_ref.files import atomic_write

SIZE = 256
CC0 = "CC0 1.0"
PHOTOGRAPHS = {  # name: (file, what, who and where from, licence), as documented in skimage/data/_fetchers.py
    "astronaut": ("astronaut.png", "Eileen Collins", "NASA Great Images", "public domain"),
    "brick": ("brick.png", "a brick wall", "CC0Textures, Bricks25", CC0),
    "camera": ("camera.png", "a man with a camera", "Lav Varshney", CC0),
    "chelsea": ("chelsea.png", "a cat", "Stefan van der Walt", CC0),
    "coffee": ("coffee.png", "a cup of coffee", "Rachel Michetti, courtesy of Pikolo Espresso Bar", CC0),
    "face": ("astronaut.png", "Eileen Collins, her face", "NASA Great Images", "public domain"),
    "grass": ("grass.png", "grass", "Linolafett on DeviantArt", CC0),
    "gravel": ("gravel.png", "gravel", "CC0Textures, Gravel04", CC0),
    "retina": ("retina.jpg", "a retina", "Mikael Häggström", CC0),
    "rocket": ("rocket.jpg", "the launch of DSCOVR", "SpaceX", "public domain"),
}
FACE = (96, 0, 96 + SIZE, SIZE)  # left, top, right, bottom; all others are cut to their central square


def main(folder: Path) -> None:
    package = Path(__file__).parents[1] / "hstn_ref" / "data"
    about = {
        "what": f"photographs, {SIZE}x{SIZE} pixels, uint8",
        "provenance": "skimage/data of scikit-image 0.26.0; scripts/make_embedded_images.py",
        "photographs": {},
    }
    for name, (file, what, source, licence) in PHOTOGRAPHS.items():
        content = (folder / file).read_bytes()
        image = Image.open(BytesIO(content))
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        box = FACE if name == "face" else (left, top, left + side, top + side)
        image = image.resize((SIZE, SIZE), Image.Resampling.BOX, box=box)
        target = package / "photographs" / f"{name}.png"
        with atomic_write(target) as temporary_path:
            image.save(temporary_path, optimize=True)
        about["photographs"][target.name] = {
            "what": what,
            "source": source,
            "licence": licence,
            "original": file,
            "original_sha256": hashlib.sha256(content).hexdigest(),
            "pixels_sha256": hashlib.sha256(image.tobytes()).hexdigest(),
        }
    with atomic_write(package / "photographs.json") as temporary_path:
        temporary_path.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    total = sum(path.stat().st_size for path in (package / "photographs").glob("*.png"))
    print(f"{len(PHOTOGRAPHS)} photographs, {total:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
