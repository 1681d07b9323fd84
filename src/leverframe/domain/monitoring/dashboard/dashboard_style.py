"""How the dashboard looks: one style sheet for light, dark, phone and paper, and the signs of the states.

Colours are told apart by people with any colour vision (Okabe and Ito, 2008), and none says anything that a shape or
a word does not say too. Text has a contrast of at least 4.5 to 1.
"""

from __future__ import annotations

ICON_COLORS = {"ok": "00795a", "info": "0b62a8", "warning": "b26a00", "critical": "bf3604", "unknown": "6b7280"}

_LIGHT = """color-scheme:light;--page:#fbfbfa;--card:#fff;--ink:#1c2128;--soft:#59626e;--rule:#dfe2e6;--faint:#eef0f2;
--ok:#00795a;--info:#0b62a8;--warning:#8f5600;--critical:#b83205;--unknown:#59626e;
--c1:#0b62a8;--c2:#b8500a;--c3:#8a3b7c;--band:#dbe8f3;--reference:#c9ced6;
--h0:#c9ced6;--h1:#dce7f1;--h2:#a9c6e0;--h3:#d68f27;--h4:#b95a0c;--h5:#7d2703;--calm:#cfe5dc;--mark:#14181d"""
_DARK = """color-scheme:dark;--page:#0f1216;--card:#171b21;--ink:#e6e9ed;--soft:#9ba5b1;--rule:#2c333c;--faint:#20262e;
--ok:#45c79b;--info:#6db3f2;--warning:#f0b04a;--critical:#ff8660;--unknown:#9ba5b1;
--c1:#6db3f2;--c2:#f0a05a;--c3:#d58fc8;--band:#1e3145;--reference:#3d4652;
--h0:#3d4652;--h1:#1d2c3b;--h2:#31506f;--h3:#8f5f1c;--h4:#d47d22;--h5:#ffb27a;--calm:#1d3d33;--mark:#fff"""

STYLE = (
    f":root{{{_LIGHT}}}@media(prefers-color-scheme:dark){{:root{{{_DARK}}}}}@media print{{:root{{{_LIGHT}}}}}"
    + """
*{box-sizing:border-box}
body{margin:0 auto;max-width:75rem;padding:1rem;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-variant-numeric:tabular-nums;
overflow-wrap:anywhere}
h1,h2,h3,p,ol,ul,dl,dd,figure{margin:0;padding:0}
h1{font-size:1.5rem;line-height:1.25;font-weight:650;letter-spacing:-.01em}
h1 code{font:inherit;background:none;padding:0}
h2{font-size:1.15rem;font-weight:650;margin:0 0 .6rem}
h3{font-size:.95rem;font-weight:650;margin:1.1rem 0 .5rem}
a{color:var(--info)}
small,.kicker,dt,.left,.legend,figcaption span,nav span,.kind{color:var(--soft);font-size:.8125rem}
code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:var(--faint);border-radius:3px;
padding:.05em .3em;
unicode-bidi:isolate;overflow:hidden}
section,header{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:1rem 1.1rem;
margin:0 0 1rem}
header{border-top:4px solid var(--unknown)}
header.ok{border-top-color:var(--ok)}header.info{border-top-color:var(--info)}
header.warning{border-top-color:var(--warning)}header.critical{border-top-color:var(--critical)}
.i{width:1em;height:1em;vertical-align:-.125em;fill:currentColor;flex:none}
.i.ok{color:var(--ok)}.i.info{color:var(--info)}.i.warning{color:var(--warning)}
.i.critical{color:var(--critical)}.i.unknown{color:var(--unknown)}
.defs{position:absolute}.glyph{fill:none;stroke:var(--card);stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
.verdict{display:flex;gap:.75rem;margin:.7rem 0 .9rem;font-size:1.05rem}.verdict .i{width:1.9rem;height:1.9rem;
margin-top:.1rem}
.verdict p+p{margin-top:.2rem;font-size:.95rem;color:var(--soft)}
.note{border:1px solid var(--rule);border-radius:6px;padding:.4rem .7rem;margin:0 0 .8rem}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.6rem 1.2rem}
dl+p{margin-top:.6rem}dd small{display:block}
nav{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));gap:.6rem;margin:0 0 1rem}
nav a{display:grid;grid-template-columns:auto 1fr;gap:.1rem .45rem;align-items:baseline;align-content:start;
color:inherit;text-decoration:none;
background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:.6rem .75rem}
nav a:hover,nav a:focus-visible{border-color:var(--info)}nav span{grid-column:2}
.findings{list-style:none}.findings>li{border-left:4px solid var(--info);padding:.1rem 0 .1rem .8rem;margin:0 0 1rem}
.findings>li:last-child{margin:0}.findings>.warning{border-color:var(--warning)}
.findings>.critical{border-color:var(--critical)}
.kind .i{margin-right:.35em}.kind b{color:var(--ink)}.next{color:var(--ink)}details{margin-top:.4rem}
details ol{margin-top:.8rem}details ul{padding:.3rem 0 0 1.1rem}
summary{cursor:pointer;color:var(--info)}section>ul{padding-left:1.1rem}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,19.5rem),1fr));gap:1.1rem 1.4rem}
.grid+.legend,.charts+.legend,.grid+.charts,p+.grid{margin-top:.8rem}
figure{min-width:0}figure>svg{display:block;width:100%;height:auto;max-width:25rem}
figcaption{font-weight:600;margin-bottom:.3rem}figcaption span{display:block;font-weight:400;min-height:1.2em}
figcaption small{font-weight:400}figcaption span span{display:inline-flex;align-items:center;gap:.3rem}
svg text{font:11px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--soft)}.m{text-anchor:middle}
.e{text-anchor:end}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem}.legend span{display:inline-flex;align-items:center;gap:.35rem}
path{fill:none}symbol path{fill:inherit}symbol .glyph{fill:none}.grid path,.h0,.h1,.h2,.h3,.h4,.h5{stroke-width:15}
path.grid{stroke:var(--ink);stroke-opacity:.12;stroke-width:1}path.band{fill:var(--band)}
path.deployed{stroke:var(--soft);stroke-dasharray:2 2;fill:var(--soft)}
.line{stroke-width:1.75;stroke-linejoin:round;stroke-linecap:round}.line.c2{stroke-dasharray:4 3}
.whisker{stroke-width:1;opacity:.3}
.dot{stroke-width:4.5;stroke-linecap:round}.ring{stroke-width:1.25;fill:var(--card)!important}
.odd{stroke:var(--card)!important;stroke-width:.75}
.line.c1,.whisker.c1,.dot.c1,.ring.c1{stroke:var(--c1)}.line.c2,.dot.c2{stroke:var(--c2)}
.line.c3,.dot.c3{stroke:var(--c3)}
.bar.c1{fill:var(--c1);opacity:.75}.bar.c1.part{opacity:.35}.odd.c1{fill:var(--critical)}
.reference{fill:var(--reference)}
.line.now{stroke:var(--c2)}
.hit path{stroke:transparent;stroke-width:1;pointer-events:stroke}
.hit path:hover{stroke:var(--ink);stroke-opacity:.08}
.grid{display:flex;align-items:flex-start}.grid ol{list-style:none;flex:0 1 13rem;min-width:6.5rem;
padding:18px .6rem 0 0}
.grid li{height:20px;line-height:20px;font-size:.8125rem;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.grid li code{background:none;padding:0}.grid>.scroll{flex:0 1 auto;min-width:0}.newest{direction:rtl}
.newest>svg{direction:ltr;display:block}
.scroll{overflow-x:auto;max-width:100%}
path.h1,path.h2,path.h0{stroke-width:9}.h0{stroke:var(--h0)}.h1{stroke:var(--h1)}.h2{stroke:var(--h2)}
.h3{stroke:var(--h3)}
.h4{stroke:var(--h4)}.h5{stroke:var(--h5)}path.ok{stroke:var(--calm);stroke-width:9}path.info{stroke:var(--c1);
stroke-opacity:.6;stroke-width:15}
path.warning{stroke:var(--h3);stroke-width:15}path.critical{stroke:var(--h5);stroke-width:15}
path.none{stroke:transparent;stroke-width:15;pointer-events:stroke}
path.mark{stroke:var(--mark);pointer-events:none;stroke-width:1.5}path.mark.dot{stroke-width:4}
path.mark.cross{stroke:var(--page)}
.grid path.deployed{stroke-width:1}
table{border-collapse:collapse;font-size:.875rem;min-width:38rem}td:has(.i),td>span{white-space:nowrap}
th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--rule);
font-weight:400}
th,td{overflow-wrap:break-word;max-width:30rem}.n{white-space:nowrap}
thead th{color:var(--soft);font-size:.8125rem;white-space:nowrap}.n{text-align:right}
.levels{list-style:none;font-size:.8125rem}.levels li{display:grid;grid-template-columns:5.5rem 1fr 7.2rem;gap:.5rem;
align-items:center;height:1.5rem}
.levels code{background:none;padding:0;white-space:nowrap;text-overflow:ellipsis}.levels svg{width:100%;height:14px}
.levels span{text-align:right;color:var(--soft)}
.left{margin-top:.5rem}
@media(max-width:40rem){body{padding:.5rem}section,header{padding:.8rem .75rem}nav{grid-template-columns:1fr 1fr}
.grid ol{flex-basis:7.5rem}dl{grid-template-columns:1fr 1fr}.levels li{grid-template-columns:4.5rem 1fr 7rem}}
@media print{body{max-width:none;zoom:.62}
section{break-inside:avoid-page}.scroll{overflow:visible}.newest{overflow:hidden}}
"""
)

_DISC = '<circle cx="8" cy="8" r="8"/>'
_SHAPES = {
    "ok": (_DISC, "M4.5 8.3l2.4 2.4 4.6-5"),
    "info": (_DISC, "M8 7.5v4M8 4.4v.1"),
    "warning": ('<path d="M8 .8L16 15H0z"/>', "M8 6v4M8 12.4v.1"),
    "critical": ('<path d="M4.7 0h6.6L16 4.7v6.6L11.3 16H4.7L0 11.3V4.7z"/>', "M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4"),
    "unknown": (_DISC, "M5 8h6"),
}
SYMBOLS = (
    '<svg class="defs" width="0" height="0" aria-hidden="true">'
    + "".join(
        f'<symbol id="{state}" viewBox="0 0 16 16">{shape}<path class="glyph" d="{glyph}"/></symbol>'
        for state, (shape, glyph) in _SHAPES.items()
    )
    + "</svg>"
)
