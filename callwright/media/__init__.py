"""The audio plane: media sockets, the bridge between a carrier and an agent, pacing and recording."""
