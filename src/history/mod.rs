//! Reads what sinks wrote.
