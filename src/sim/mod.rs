//! The closed-loop traffic simulator.
