//! Event time: watermark, windows, bounded counts.
