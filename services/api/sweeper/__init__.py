"""What ingest does at its own pace: forget, write down what came, replay."""
