//! Detectors: a file a detector, each a pure state machine over windows.
