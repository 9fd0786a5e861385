"""Run MediaPipe's ImageClassifier on arrays: a program for an environment of its own, which has mediapipe.

Arguments: a .tflite file and an .npy file of pixels [N, side, side, 3]. Prints one JSON list: of each picture the five
best as [index, label, score].
"""

import json
import sys

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=sys.argv[1]), max_results=5)
answers = []
with vision.ImageClassifier.create_from_options(options) as classifier:
    for pixels in np.load(sys.argv[2]):
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(pixels))
        found = classifier.classify(picture).classifications[0].categories
        answers.append([[row.index, row.category_name, row.score] for row in found])
print(json.dumps(answers))
