//! The custom resource, as the API server holds it.
