//! What to do next: (observed, plan, now) in, actions and statuses out.
