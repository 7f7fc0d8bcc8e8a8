//! Wire dialects: bytes to neutral messages and back.
