//! Kubernetes objects in, model out.

pub mod duration;
pub mod node;
pub mod pod;
pub mod quantity;
pub mod requests;
