//! The independent check of plans.
