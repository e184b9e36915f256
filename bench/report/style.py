"""The look of the HTML report: light, dark, narrow and printed, from one set of colours."""

from __future__ import annotations

# fp32 is the blue of ordinary Chinese plates, int8 the green of the plates for new-energy cars.
_LIGHT = """
--page:#f6f7f9;--card:#ffffff;--ink:#161b22;--muted:#57606a;--line:#d9dee5;--soft:#eef1f5;
--fp32:#1f5fbf;--int8:#147a55;--fp16:#8250b8;--band:#1f5fbf1f;--shade:#161b2229;
--valid:#176b3a;--noisy:#835400;--invalid:#b3261e;--valid-bg:#e2f3e8;--noisy-bg:#fbefd3;--invalid-bg:#fbe4e2;
--decode:#8b95a3;--det_pre:#8fc0ee;--det_infer:#2464b8;--det_post:#12386b;--crop:#1f8a80;
--rec_pre:#f4bd7e;--rec_infer:#b5531a;--rec_post:#6e2f0c;--other:#b9a7d6;--curve:#b5531a;
"""
_DARK = """
--page:#0f1318;--card:#181d24;--ink:#e8ecf1;--muted:#a0aab6;--line:#2e3640;--soft:#212831;
--fp32:#6ea8fe;--int8:#4cc793;--fp16:#c39bf0;--band:#6ea8fe26;--shade:#e8ecf138;
--valid:#5fd08f;--noisy:#f0b94a;--invalid:#ff8a80;--valid-bg:#14301f;--noisy-bg:#33280f;--invalid-bg:#3a1a18;
--decode:#8b95a3;--det_pre:#a9cdf2;--det_infer:#2f6fc4;--det_post:#7d94b8;--crop:#2fa398;
--rec_pre:#f4bd7e;--rec_infer:#b5531a;--rec_post:#c98a63;--other:#a894cc;--curve:#f0955a;
"""

STYLE = (
    f"""
:root{{color-scheme:light dark;{_LIGHT}}}
@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}
@media print{{:root{{color-scheme:light;{_LIGHT}--page:#fff}}}}
"""
    + """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);line-height:1.5;
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans CJK SC","PingFang SC",sans-serif}
main,header.top,footer{max-width:1060px;margin:0 auto;padding:0 20px}
a{color:var(--fp32)}
a:focus-visible,summary:focus-visible,[tabindex]:focus-visible{outline:3px solid var(--fp32);outline-offset:2px;
border-radius:4px}
.skip{position:absolute;left:-9999px}
.skip:focus{left:12px;top:12px;background:var(--card);padding:8px 14px;z-index:9}
header.top{padding-top:34px}
.plate{display:inline-flex;align-items:center;gap:.45em;background:#1f4fa3;color:#fff;border-radius:7px;
padding:3px 12px;
font-weight:700;letter-spacing:.14em;font-size:13px;box-shadow:inset 0 0 0 1.5px #fff,0 0 0 1.5px #1f4fa3;
print-color-adjust:exact;-webkit-print-color-adjust:exact}
.plate i{font-style:normal;opacity:.95}
h1{font-size:clamp(24px,4.4vw,36px);line-height:1.15;margin:16px 0 6px;letter-spacing:-.015em;text-wrap:balance}
h2{font-size:20px;margin:0 0 4px;letter-spacing:-.01em}
h3{font-size:15px;margin:18px 0 4px}
p{margin:6px 0}
.muted,.lead{color:var(--muted)}
nav ul{display:flex;flex-wrap:wrap;gap:4px 18px;padding:0;margin:14px 0 0;list-style:none;font-size:14px}
section{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:22px 24px;margin:18px 0}
.verdict{border-left:6px solid var(--state)}
.VALID{--state:var(--valid);--state-bg:var(--valid-bg)}
.NOISY{--state:var(--noisy);--state-bg:var(--noisy-bg)}
.INVALID{--state:var(--invalid);--state-bg:var(--invalid-bg)}
.badge{display:inline-block;background:var(--state-bg);color:var(--state);border-radius:999px;padding:2px 12px;
font-weight:700;
font-size:13px;letter-spacing:.06em;print-color-adjust:exact;-webkit-print-color-adjust:exact}
.verdict .say{font-size:17px;margin:8px 0}
.verdict ul{margin:6px 0 0;padding-left:20px}
.verdict>ul>li+li{margin-top:8px}
.callout{background:var(--soft);border-radius:10px;padding:10px 14px;margin:12px 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:14px;margin:18px 0}
.tile-box{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:16px 18px;
border-top:5px solid var(--tone)}
.fp32{--tone:var(--fp32)}.int8{--tone:var(--int8)}.fp16{--tone:var(--fp16)}
.tile-box .big{font-size:32px;line-height:1.1;font-weight:700;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.tile-box .big small{font-size:15px;font-weight:500;color:var(--muted);letter-spacing:0}
.tile-box p{margin:2px 0;font-size:14px}
table{border-collapse:separate;border-spacing:0;width:100%;font-variant-numeric:tabular-nums;font-size:14px}
.caption{color:var(--muted);font-size:14px}
th,td{padding:6px 10px;text-align:right;border-bottom:1px solid var(--line);vertical-align:top}
th:first-child,td:first-child{text-align:left;padding-left:0}
thead th{color:var(--muted);font-weight:600}
thead th,thead td{border-bottom:2px solid var(--line)}
tbody th{font-weight:500}
tr.strong th,tr.strong td{font-weight:700;border-top:2px solid var(--line)}
tr.note td,tr.note th{background:var(--soft)}
td.words,th.words{text-align:left}
/* A shade at the right edge for as long as a table goes on there: scrollbars of phones do not show. */
.scroll{overflow-x:auto;-webkit-overflow-scrolling:touch;background:
linear-gradient(to left,var(--card) 40%,transparent) right/48px 100% no-repeat local,
linear-gradient(to left,var(--shade),transparent) right/12px 100% no-repeat scroll}
.scroll table{min-width:min-content}
.scroll td,.scroll thead th{white-space:nowrap}
.scroll td.words{white-space:normal;min-width:110px}
.scroll tbody th,.scroll thead td:first-child{position:sticky;left:0;background:var(--card);min-width:104px}
.scroll tr.note th{background:var(--soft)}
figure{margin:16px 0}
figcaption{font-size:14px;margin:4px 0}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;list-style:none;padding:0;margin:10px 0 4px;font-size:13px}
.legend li{display:flex;align-items:center;gap:6px}
svg.chart{display:block;overflow:visible;margin-top:8px}
svg text{fill:var(--ink);font-size:13px;font-variant-numeric:tabular-nums}
svg .tick{fill:var(--muted);font-size:12px}
svg .strong{font-weight:700}
svg .inside{fill:#fff;font-size:12px;font-weight:600}
.grid{stroke:var(--line);stroke-width:1}
.base{stroke:var(--line);stroke-width:1.5}
.stage{stroke:var(--card);stroke-width:1}
.decode{fill:var(--decode)}.det_pre{fill:var(--det_pre)}.det_infer{fill:var(--det_infer)}.det_post{fill:var(--det_post)}
.crop{fill:var(--crop)}.rec_pre{fill:var(--rec_pre)}.rec_infer{fill:var(--rec_infer)}.rec_post{fill:var(--rec_post)}
.other{fill:var(--other)}
.dot{fill:var(--tone);fill-opacity:.7}
.bar{fill:var(--tone);fill-opacity:.75}
.band{fill:var(--band)}
.median{stroke:var(--ink);stroke-width:2}
.overall{stroke:var(--ink);stroke-width:1;stroke-dasharray:4 3}
.curve{stroke:var(--curve);stroke-width:1.8;stroke-linecap:round}
.tile{stroke:var(--card);stroke-width:3}
.tile.fp32{fill:#1f5fbf}.tile.int8{fill:#147a55}.tile.fp16{fill:#7443ab}
.tile.fp32.detector{fill:#153f80}.tile.int8.detector{fill:#0c5138}.tile.fp16.detector{fill:#4d2c72}
dl.record{columns:2;column-gap:44px;margin:10px 0;font-size:14px}
dl.record div{display:grid;grid-template-columns:130px 1fr;gap:14px;padding:5px 0;border-bottom:1px solid var(--line);
break-inside:avoid}
dl.record dt{color:var(--muted)}
dl.record dd{overflow-wrap:anywhere;margin:0}
dl.hashes{columns:1}
.photos{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:16px;margin-top:12px}
.card{margin:0;border:1px solid var(--line);border-radius:12px;overflow:hidden;background:var(--soft);
break-inside:avoid}
.card.failed{border:2px solid var(--invalid)}
.card svg{display:block;width:100%}
.card .scene{max-height:300px;background:#000}
.card .zoom{border-top:1px solid var(--line);max-height:110px;background:#000}
.card figcaption,.card>p{padding:10px 14px}
.card .name{font-weight:600;margin:0}
.card ul{list-style:none;margin:4px 0;padding:0}
.key{display:inline-block;width:10px;height:10px;border-radius:3px;background:var(--tone);margin-right:6px}
polygon{fill:none;stroke-width:2.5;vector-effect:non-scaling-stroke}
.truth{stroke:#fff;stroke-dasharray:5 4}
.zoom polygon{stroke-width:1.5}
.box.fp32{stroke:#5aa0ff}.box.int8{stroke:#3ee6a0;stroke-dasharray:9 4}.box.fp16{stroke:#c39bf0}
.ok{color:var(--valid)}.bad{color:var(--invalid);font-weight:700}
details{margin-top:10px}
summary{cursor:pointer;color:var(--muted);font-size:14px}
code{font:13px ui-monospace,SFMono-Regular,Menlo,monospace;overflow-wrap:anywhere}
footer{padding:10px 20px 50px;color:var(--muted);font-size:13px}
@media (max-width:820px){dl.record{columns:1}}
@media (max-width:560px){
svg .desk{display:none}
svg .inside{font-size:11px;letter-spacing:-.03em}
main,header.top,footer{padding-left:12px;padding-right:12px}
section{padding:16px 14px;border-radius:12px}
dl.record div{grid-template-columns:104px 1fr;gap:10px}
.photos{grid-template-columns:1fr 1fr;gap:10px}
.card figcaption{padding:8px 10px;font-size:13px}
table{font-size:13px;line-height:20px}
th,td{padding:6px 0 6px 8px}
.scroll tbody th,.scroll thead td:first-child{min-width:88px}
}
@media (max-width:380px){.photos{grid-template-columns:1fr}}
@media print{
body{font-size:11.5px}
nav,.skip{display:none}
section,.tile-box{break-inside:avoid;border-color:#bbb}
.scroll{overflow:visible;background:none}
.photos{grid-template-columns:repeat(4,1fr)}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
"""
)
