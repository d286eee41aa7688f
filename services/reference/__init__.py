"""What is written about the code by the code itself: schemas of events, AsyncAPI, OpenAPI, who may call what."""
