//! One filter a file: which nodes may a pod run on, and why not.
