"""The style sheet of every page: one accent colour, colours that the colour-blind can tell apart, dark mode, print."""

STYLE = """
:root{--paper:#fcfcfa;--card:#ffffff;--ink:#1c2227;--soft:#5a646c;--rule:#e4e4de;--dark:#a9afb3;--faint:#f1f1ec;
--accent:#0b6e69;--wash:#dceeec;--plain:#9aa3a9;--clicks:#2f6fb5;--carts:#b26a00;--orders:#a3346f;
--c0:#332288;--c1:#117733;--c2:#0f8fb3;--c3:#88632a;--c4:#cc6677;--c5:#882255;--c6:#999933;--c7:#5f6b73}
@media screen and (prefers-color-scheme:dark){:root{--paper:#14181b;--card:#1a1f23;--ink:#e6e8e6;--soft:#a2abb1;
--rule:#2c3338;--dark:#5b656c;--faint:#20262a;--accent:#58c4b6;--wash:#16403c;--plain:#727d85;--clicks:#7db4f5;--carts:#f0b154;
--orders:#ee8cbf;--c0:#9b8df0;--c1:#5fc37e;--c2:#66ccee;--c3:#d2a76a;--c4:#f4909e;--c5:#d66da6;--c6:#d0d063;
--c7:#a3aeb6}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.6 system-ui,-apple-system,"Segoe UI",Roboto,
"Noto Sans","DejaVu Sans",sans-serif}
.frame{display:grid;grid-template-columns:minmax(0,46rem);justify-content:center;gap:0 4rem;padding:2.5rem 1.25rem 5rem}
header,main{min-width:0}
h1,h2,figure>h3{font-family:ui-serif,Georgia,"Iowan Old Style","Noto Serif","DejaVu Serif",serif;font-weight:600;
line-height:1.25;text-wrap:balance}
h1{font-size:1.9rem;margin:0 0 .3rem}
h2{font-size:1.45rem;margin:4rem 0 .8rem;padding-top:1.2rem;border-top:1px solid var(--rule)}
figure>h3{font-size:1.08rem;margin:0 0 .9rem}
h4{font-size:.85rem;margin:1rem 0 .35rem;color:var(--soft);font-weight:600}
p{margin:.5rem 0 1rem;max-width:42rem}
.soft,figcaption{color:var(--soft);font-size:.88rem}
a{color:var(--accent)}
nav{font-size:.88rem;margin:1.5rem 0 0}
nav ol{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:.3rem 1rem}
nav a{color:var(--soft);text-decoration:none}
nav a:hover{color:var(--accent);text-decoration:underline}
.score{display:flex;flex-wrap:wrap;align-items:baseline;gap:.2rem 1rem;margin:1.6rem 0 .4rem}
.score b{font:600 4rem/1 ui-serif,Georgia,"DejaVu Serif",serif;color:var(--accent);font-variant-numeric:tabular-nums}
.parts{display:flex;flex-wrap:wrap;gap:.8rem 2.4rem;margin:1.2rem 0 0;padding:0;list-style:none}
.parts b{display:block;font-size:1.35rem;font-weight:600;font-variant-numeric:tabular-nums;line-height:1.3}
.parts span{color:var(--soft);font-size:.85rem}
figure{margin:2.2rem 0 2.8rem}
figcaption{margin-top:.7rem}
svg{display:block;width:100%;height:auto;overflow:visible}
svg.narrow{display:none}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(var(--least,14rem),1fr));gap:1.4rem 1.2rem}
.panels h4{margin:0 0 .2rem}
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;fill:var(--soft)}
text.v,text.strong{fill:var(--ink);font-variant-numeric:tabular-nums}
text.strong{font-weight:600}
text.cell{font-size:10.5px;fill:var(--ink);font-variant-numeric:tabular-nums}
text.over{fill:var(--paper)}
text.halo{fill:var(--ink);paint-order:stroke;stroke:var(--paper);stroke-width:4px}
.rule{stroke:var(--rule)}.rule.dark{stroke:var(--dark)}
.interval{stroke:var(--plain);stroke-width:3;stroke-linecap:round}.interval.accent{stroke:var(--accent)}
.stroke{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.stroke.plain{stroke:var(--plain)}.stroke.accent{stroke:var(--accent);stroke-width:2.5}
.stroke.ink{stroke:var(--ink);stroke-width:2.5}.stroke.thin{stroke:var(--accent);stroke-width:1.2;stroke-opacity:.65}
.stroke.dashed{stroke:var(--plain);stroke-dasharray:4 4;stroke-width:1.5}
.stroke.clicks{stroke:var(--clicks)}.stroke.carts{stroke:var(--carts);stroke-dasharray:7 3}
.stroke.orders{stroke:var(--orders);stroke-dasharray:2 4}
.stroke.train{stroke:var(--plain)}
.fill.plain,.fill.dashed,.fill.train{fill:var(--plain)}.fill.accent,.fill.thin{fill:var(--accent)}
.fill.ink{fill:var(--ink)}.fill.faint{fill:var(--faint)}
.fill.clicks{fill:var(--clicks)}.fill.carts{fill:var(--carts)}.fill.orders{fill:var(--orders)}
.name.accent{fill:var(--accent);font-weight:600}.name.ink{fill:var(--ink);font-weight:600}
.name.clicks{fill:var(--clicks)}.name.carts{fill:var(--carts)}.name.orders{fill:var(--orders)}
.c0{fill:var(--c0)}.c1{fill:var(--c1)}.c2{fill:var(--c2)}.c3{fill:var(--c3)}
.c4{fill:var(--c4)}.c5{fill:var(--c5)}.c6{fill:var(--c6)}.c7{fill:var(--c7)}
details{margin:.7rem 0}
summary{cursor:pointer;color:var(--accent);font-size:.88rem}
.scroll{overflow-x:auto;margin:.6rem 0 1rem;border-bottom:1px solid var(--rule)}
table{border-collapse:collapse;font-size:.86rem;line-height:1.4;min-width:60%;font-variant-numeric:tabular-nums}
th,td{padding:.32rem .9rem .32rem 0;text-align:right;vertical-align:baseline;white-space:nowrap}
th{color:var(--soft);font-weight:600;border-bottom:1px solid var(--dark)}
th.left,td.left{text-align:left}
td{border-bottom:1px solid var(--rule)}
tr.strong td{font-weight:600;color:var(--accent)}
td.wrap{white-space:normal;overflow-wrap:anywhere;min-width:12rem}
.session{border:1px solid var(--rule);background:var(--card);border-radius:6px;
padding:1rem 1.1rem 1.2rem;margin:1.2rem 0}
.session h3{font-size:1rem;margin:0;overflow-wrap:anywhere}
.session .soft{margin:0}
.sides{display:grid;grid-template-columns:repeat(auto-fit,minmax(6.9rem,1fr));gap:0 .9rem}
.items{list-style:none;margin:0;padding:0;font-size:.84rem;line-height:1.55;font-variant-numeric:tabular-nums}
.items li{overflow-wrap:anywhere;padding:0 .3rem}
.items .hit{background:var(--wash);font-weight:600;border-radius:3px}
.items .hit::after{content:" ✓";color:var(--accent)}
.items i{font-style:normal;color:var(--soft)}
.items .place{color:var(--soft);display:inline-block;min-width:1.9em;font-weight:400}
footer{color:var(--soft);font-size:.85rem;margin-top:4rem;border-top:1px solid var(--rule);padding-top:1rem}
.out{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media (min-width:74rem){.frame{grid-template-columns:11rem minmax(0,46rem)}
nav{position:sticky;top:2.5rem;align-self:start;margin:.4rem 0 0;grid-row:1/span 2}
nav ol{flex-direction:column;gap:.45rem}header,main,footer{grid-column:2}}
@media (max-width:40rem){.frame{padding:1.5rem 1.1rem 3rem}h1{font-size:1.55rem}h2{font-size:1.28rem;margin-top:3rem}
.score b{font-size:3rem}svg.wide{display:none}svg.narrow{display:block}.pairs{--least:8.5rem!important;gap:1rem .9rem}
td.left{white-space:normal;min-width:6.5rem}
.session{padding:.8rem .8rem 1rem}.sides{grid-template-columns:repeat(auto-fit,minmax(8.2rem,1fr))}}
@media print{:root{--paper:#fff;--card:#fff}body{font-size:10.5pt}nav{display:none}.frame{display:block;padding:0}
figure,.session,tr{break-inside:avoid}h2{break-after:avoid}.scroll{overflow:visible}details>summary{list-style:none}
details:not([open]){display:none}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
