//! Records become bytes on disk.
