//! A transfer, rule by rule, and in a small world.

mod checks;
mod desk;
mod ends;
mod front;
mod order;
mod parts;
mod property;
mod streams;
mod world;
