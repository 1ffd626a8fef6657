"""Is an image whole, and its program legal?"""

from host.errors import UserError
from host.image.image import Image
from host.image.schema import configuration


__all__ = ["wrong_with"]


def wrong_with(path):
    """What is wrong with an image: {rule, where, expected, found}, or None."""
    from sw_ref.legal import IllegalProgram
    from sw_ref.verify import verify_image

    try:
        image = Image.load(path)
        config = configuration(image.accelerator)
    except UserError as error:
        return {
            "rule": "image",
            "where": str(path),
            "expected": "a whole image of this version",
            "found": str(error),
        }
    try:
        verify_image(config, image)
    except IllegalProgram as error:
        return {
            "rule": error.rule,
            "where": error.where,
            "expected": error.expected,
            "found": error.found,
        }
    return None
