//! A sender's bytes become records.
