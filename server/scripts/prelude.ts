/**
 * What of the sandbox is written in Lua. It runs once in a new state, with `debug` and the raw globals still there.
 *
 * The error handler is what Redis runs behind every script: it makes a table of the error, with the place in the script.
 */
export const prelude = `
local debug, raw, freeze, readonly, missing = ...
local getinfo, setmetatable, type, tostring, concat, loadstring =
  debug.getinfo, setmetatable, type, tostring, table.concat, loadstring

function raw.load(piece, name)
  local pieces = {}
  while true do
    local text = piece()
    if text == nil or text == '' then break end
    pieces[#pieces + 1] = text
  end
  return raw.loadstring(concat(pieces), name or '=(load)')
end

function raw.__redis__err__handler(err)
  local place = getinfo(2, 'nSl')
  if place and place.what == 'C' then
    place = getinfo(3, 'nSl')
  end
  if type(err) ~= 'table' then
    err = {err = 'ERR ' .. tostring(err)}
  end
  if place then
    err.source = place.source
    err.line = place.currentline
  end
  return err
end

for _, name in ipairs({'string', 'table', 'math', 'coroutine', 'redis', 'cjson', 'cmsgpack', 'bit', 'struct'}) do
  raw[name] = freeze(raw[name])
end
local shown = {__index = raw, __newindex = readonly}
local globals = setmetatable({}, shown)
raw._G = globals
setmetatable(raw, {__index = missing})
return globals, raw.__redis__err__handler, shown
`
