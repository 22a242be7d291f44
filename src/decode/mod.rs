//! Records to events: a file a format. Pure.
