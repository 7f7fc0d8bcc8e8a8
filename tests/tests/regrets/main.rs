//! What others built and had to mend, one module for each kind of mistake: a test here fails if we repeat it.

mod scaling;
