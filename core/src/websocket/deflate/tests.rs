mod codec;
mod offers;
mod properties;
