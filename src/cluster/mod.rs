//! Kubernetes objects in, model out.

pub mod duration;
pub mod intake;
pub mod node;
pub mod placement;
pub mod pod;
pub mod quantity;
pub mod requests;
pub mod template;
