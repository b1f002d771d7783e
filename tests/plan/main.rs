//! `taskbatch plan` and the small commands, through the program itself, without any cluster.

mod deadlines;
mod examples;
mod faults;
mod formats;
mod from;
mod pipelines;
mod plans;
mod program;
mod rules;
