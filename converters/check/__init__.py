"""What an accelerator will take of a .tflite file, by its published rules, before anything is compiled or run."""
