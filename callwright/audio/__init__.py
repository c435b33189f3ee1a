"""Pure sample work: G.711, resampling, levels, WAV files, and the simulated world's in-band speech code."""
