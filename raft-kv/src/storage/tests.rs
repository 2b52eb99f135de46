//! Tests of the disk format.
