//! YAML as written becomes the plan as meant.
