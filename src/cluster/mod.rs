//! Kubernetes objects in, model out.
