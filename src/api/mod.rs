//! HTTP: health, metrics, alerts and incidents.
