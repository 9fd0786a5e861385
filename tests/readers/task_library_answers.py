"""Run the TFLite Task Library's ImageClassifier on arrays: a program for an environment that has tflite-support.

Arguments: a .tflite file and an .npy file of pixels [N, side, side, 3]. Prints one JSON list: of each picture the five
best as [index, label, score].
"""

import json
import sys

import numpy as np
from tflite_support.task import core, processor, vision

options = vision.ImageClassifierOptions(
    base_options=core.BaseOptions(file_name=sys.argv[1]),
    classification_options=processor.ClassificationOptions(max_results=5),
)
classifier = vision.ImageClassifier.create_from_options(options)
answers = []
for pixels in np.load(sys.argv[2]):
    picture = vision.TensorImage.create_from_array(np.ascontiguousarray(pixels))
    found = classifier.classify(picture).classifications[0].categories
    answers.append([[row.index, row.category_name, row.score] for row in found])
print(json.dumps(answers))
