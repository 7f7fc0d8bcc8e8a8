//! A naive model of the server, and random cases that run both side by side.
//!
//! [`Setup`] and [`Operation`] are what a case is made of; [`run()`] drives a server through it and compares it
//! with the reference at every step. See `tests/model.rs`.
#![allow(missing_docs, reason = "parts of one test, read beside it")]

mod expected;
mod operation;
mod peer;
mod reference;
mod run;
mod tokens;

pub use operation::{Asked, Bye, Feed, ONE_WRITE, Operation, Say, Setup, Step};
pub use run::{Case, Report, Variation, run};
