//! `taskbatch bench`: measures the searches on generated instances.

pub mod project;
