//! Time limits, and the turns that calls take.

mod time;
mod time_network;
mod turns;
