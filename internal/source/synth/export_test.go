package synth

// Synthesized is Synth without the golden templates.
var Synthesized = synthesized
