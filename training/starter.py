"""The recipe of the starter release, which demo and decide use when none is given. Plain data.

Figures were chosen on real photographs, each source held out in turn (see the comments), without
those of the test sources, which are whole collections of both firearms and harmless things.
"""

from pathlib import Path

from training.naming import STARTER as TYPES
from training.recipe import Recipe

WEIGHTS = "weights/mobilenet_v2_imagenet_onnxzoo_nohead.pth"

THRESHOLD_SOURCES = (
    "AchoVasilev/AirsoftShop",
    "Coding-Rod/Weapon-detector",
    "EdjeElectronics/TensorFlow-Object-Detection-API-Tutorial-Train-Multiple-Objects-Windows-10",
    "M4RQUIT0S/GunShop",
    "MachineLearning2020/Homework2-Caltech101",
    "MarcusLimJunYi/Monash-Guns-Dataset",
    "OrelS0rek/weapon-detection",
    "aadixiiita/Convolutional-Neural-Network-for-Gun-Recognition",
    "alexeygrigorev/clothing-dataset-small",
    "ardamavi/Sign-Language-Digits-Dataset",
    "diangamichael/WeaponDetection-2",
    "fctassinari/xfinder-archery-shop",
    "html1101/Gun-Detection-GUI",
    "jurjsorinliviu/Sports-Type-Classifier",
    "open-mmlab/mmaction2",
    "saeedarabi92/Cell-phone-detection",
    "wmcnally/kapao",
)

TEST_SOURCES = (
    "BlcaKHat/yolov3-Helmet-Detection",
    "EthanHKiser/Public-Joes-Electrical-Power-Tools",
    "Jawabreh0/gun-detection",
    "Lemachu/Gun-Shop",
    "NaveenJ2EE/banned_item_ai",
    "OlafenwaMoses/ImageAI",
    "SasankYadati/Guns-Dataset",
    "Wali1146/firearms",
    "andrejanev96/firearms-timeline-test",
    "ayooshkathuria/YOLO_v3_tutorial_from_scratch",
    "bardan-dhakal/A-eye_Weapons-Detection",
    "ciber-lab/pictor-ppe",
    "facebookresearch/Detectron",
    "google-ai-edge/mediapipe",
    "hyltonw/FirearmMuseum",
    "lightly-ai/coco128_yolo",
    "njvisionpower/Safety-Helmet-Wearing-Dataset",
    "sofwerx/android-tensorflow-gun-classification",
    "sofwerx/pistol-detection",
    "tiao051/Violence-Detection",
    "victordibia/handtracking",
    "vonschtirlitz/weapon_cnn",
    "xinyu1205/recognize-anything",
)

NOTES = (
    "The backbone is MobileNetV2 with its ImageNet weights (Apache-2.0, from the ONNX model zoo); "
    "it was not trained on firearms. It finds what looks like a known photograph, and misses "
    "small, half-hidden or unusual firearms. Train a network before you rely on it.",
    "The test photographs come from sources of which no photograph is a prototype or set a "
    "threshold. Results on photographs like the prototypes' are better, on others maybe worse.",
    "Types that begin with coarse_ say only that it is a firearm. Types of models were mostly "
    "labelled by eye in one pass; some are wrong.",
    "Look-alikes are known only by their kind: while no photograph of the source of most power "
    "drills was a prototype, 34 of its 126 drills were flagged. With them, so were none of 20 "
    "drills of another source instead of 3. That source is therefore no test source.",
    "Prototypes are embeddings; the release holds no photograph.",
)


def starter(data: Path) -> Recipe:
    """Return the recipe.

    Args:
        data: Folder with ``firearms/``, ``negatives/``, ``sources.csv`` and ``weights/``.
    """
    return Recipe(
        images=data / "firearms",
        lookalikes=data / "negatives",
        groups=data / "sources.csv",
        types=TYPES,
        backbone="mobilenet_v2",
        weights=str(data / WEIGHTS),
        # Mean recall over held-out sources at 1 % false flags: MAC 0.72, SPoC 0.67, GeM 0.73;
        # a second, wide input size adds 0.01 or nothing.
        pooling="gem",
        # A head of 512 without a mean costs 0.02 and would save little.
        dimension=None,
        half_weights=True,
        # Likewise, of 50 of each type: 0.72 of all, 0.77 of the clear ones; more add nothing.
        clear_margin=0.04,
        per_type=50,
        per_kind=30,
        lookalike_margin=0.0,
        threshold_sources=THRESHOLD_SOURCES,
        test_sources=TEST_SOURCES,
        notes=NOTES,
    )
