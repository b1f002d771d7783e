//! Searches and bounds.
